"""The command line: each verb parses, calls one public function and prints. Heavy imports stay inside."""

from sena.cli.main import app, main

__all__ = ["app", "main"]
