"""What was measured, for people: figures, tables, statements and reports."""
