"""Words on paper: cleaning, sentences, noise, stems, near-duplicates. nltk is imported here alone."""
