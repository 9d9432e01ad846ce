"""Views, macros and questions: SQL files that `featurestore` reads as package data."""
