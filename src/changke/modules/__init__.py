"""Layer `modules`; see docs/architecture.md."""
