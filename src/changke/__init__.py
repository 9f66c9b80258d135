"""Changke 常客: the open member platform for retail."""
