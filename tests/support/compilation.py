"""XLA's flags for tests, which compile far more than they compute: its slow passes are off, and
one thread compiles."""

QUICK_COMPILATION = " ".join(
    [
        "--xla_backend_optimization_level=0",
        "--xla_cpu_use_fusion_emitters=false",
        "--xla_cpu_parallel_codegen_split_count=1",
    ]
)
