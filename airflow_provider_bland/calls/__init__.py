"""One call, pure: what is wanted, what each look at it means, when its time is up."""
