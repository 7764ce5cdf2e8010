"""What photos cost, before and after: estimates, the budget's allowance and reports."""
