"""What clients and server compute: data, models, methods, local training, aggregation."""
