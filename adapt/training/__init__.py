"""The training loop and the data that losses see."""
