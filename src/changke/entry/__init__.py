"""Layer `entry`; see docs/architecture.md."""
