"""What Bland answers: pure functions and plain records, which know nothing of time passing or of HTTP."""
