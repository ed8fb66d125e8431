"""Text processing: cleaning, sentence splitting, noise, stemming, near-duplicates; the only package that imports nltk."""
