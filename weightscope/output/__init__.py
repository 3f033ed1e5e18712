"""What a person or a program reads: one document, written as a table, JSON, Markdown or CSV."""
