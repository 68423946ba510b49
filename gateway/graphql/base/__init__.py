"""What every GraphQL type uses."""
