"""Questions: SQL files, the views that they read, and their answers."""
