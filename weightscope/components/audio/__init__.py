"""What hears: convolutions over spectrograms, encoders of speech, ears of language models."""
