"""Documents as HTML: fragments that a notebook and the report share."""
