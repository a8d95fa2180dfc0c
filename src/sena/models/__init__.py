"""Family knowledge: loading, the chat template, encoding, saving. Heavy imports happen inside the modules, not here."""
