"""What photos cost, before and after: estimates, the budget's allowance, thresholds and reports."""
