"""Other families than LLaVA-1.5. They need torchvision, so they are run by themselves: pytest tests/families."""
