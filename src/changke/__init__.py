"""Changke 常客: the open member platform for retail."""

__version__ = "0.1.0"
