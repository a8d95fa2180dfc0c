"""The command line: each verb parses, calls one public function and prints. Imports of weight happen inside the verbs."""

from sena.cli.main import app, main

__all__ = ["app", "main"]
