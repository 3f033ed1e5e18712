"""What a shell may offer when Tab is pressed: from files here alone, in short lists, and never an error."""
