"""Speaking with a model that is there: questions, conversations, a file of questions, a web page, an endpoint."""
