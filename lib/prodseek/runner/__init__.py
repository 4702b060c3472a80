"""What starts a run, follows it and publishes it."""
