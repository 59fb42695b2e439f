"""The two gRPC services of the agent."""
