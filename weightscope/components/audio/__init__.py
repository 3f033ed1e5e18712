"""What hears: convolutions over spectrograms or bare samples, encoders of speech, ears of language models."""
