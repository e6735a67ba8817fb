"""What the drug costs: dissociation, sedation, blood pressure, loss of consciousness, and cumulative exposure."""
