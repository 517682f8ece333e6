"""System prompts: kept in versions, rendered in one pass, put in front of a conversation."""
