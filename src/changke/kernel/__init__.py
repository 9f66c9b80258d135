"""Layer `kernel`; see docs/architecture.md."""
