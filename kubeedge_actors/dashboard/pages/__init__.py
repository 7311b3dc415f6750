"""What is drawn over the lists: texts, questions, an actor up close, a log, messages on their way."""
