"""What happens while time passes: calls that run, batches that dial, webhooks that are sent, state that is kept."""
