"""The pages are executed: what they tell a person to type is typed, and what they show is what is seen."""
