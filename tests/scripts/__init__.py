"""Scripts as a user would run them: every file of `queries/` over the sample lake."""
