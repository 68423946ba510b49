"""What the gateway is for: one file for each noun, with no word of GraphQL or HTTP in it."""
