"""What can be wrong: one file a question, each rule a function from a subject to its findings."""
