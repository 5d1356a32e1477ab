"""What MLflow is told, whether or not it can be reached."""
