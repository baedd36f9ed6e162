"""What only the lessons need: set-up, exercises, quiz, and running them all."""
