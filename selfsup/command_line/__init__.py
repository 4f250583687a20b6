"""What every binary shares: its start, its errors and its path flags."""
