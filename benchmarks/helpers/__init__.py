"""What benchmarks share, and the parts that they run in processes of their own."""
