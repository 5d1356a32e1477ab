"""Tables, figures and the report of one experiment."""
