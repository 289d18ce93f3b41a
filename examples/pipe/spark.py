"""Scores a table with Spark: spark-submit spark.py ./scorer impressions.parquet scores.parquet

Every partition goes through a scorer of its own, as JSON lines.
"""
import sys


def command(scorer, keep):
    """The process of a partition: a line out for each line in, with the columns `keep` before the scores."""
    return [scorer, "-", "--input-format", "jsonl", "--format", "jsonl", "--on-bad-row", "null", "--threads", "1",
            "--passthrough", ",".join(keep)]


def main(scorer, source, target):
    import shlex

    from pyspark.sql import SparkSession
    from pyspark.sql.functions import struct, to_json

    spark = SparkSession.builder.getOrCreate()
    spark.sparkContext.addFile(scorer)
    rows = spark.read.parquet(source)
    # Nulls are written out: a column that is null in the first rows of a partition is a column all the same.
    lines = rows.select(to_json(struct(*rows.columns), {"ignoreNullFields": "false"})).rdd.map(lambda row: row[0])
    scored = lines.pipe(shlex.join(command("./" + scorer.rsplit("/", 1)[-1], ["user_id", "item_id"])), checkCode=True)
    spark.read.json(scored).write.parquet(target)


if __name__ == "__main__":
    main(*sys.argv[1:])
