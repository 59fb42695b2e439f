"""What a machine's boot takes until its agent answers, beside a busybox that boots on the same kernel."""
