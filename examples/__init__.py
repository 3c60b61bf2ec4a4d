"""Jobs to begin with, `prepare` that makes what they read, and `show` that asks what came of them."""
