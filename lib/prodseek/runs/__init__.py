"""What a run leaves behind: its tables, facts, gates, log and lock, and the rule that decides whether it exists."""
