"""What programmes decide, without rows and without a clock."""
