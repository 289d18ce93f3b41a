/* Reduced precision, tried on a sample of the log before a scorer of it is made. */
#ifndef CALIBRATE_H
#define CALIBRATE_H
#include "driver/commands.h"
#include <stdio.h>

typedef struct {
	const char *log, *model;
	double max_auc_loss;
} Calibrate;

/*
 * Prints what the precision asked for changes.  0, and the ranges of the layers' inputs by parameter, to be
 * freed; or an exit code with everything said: 5 where it loses too much.
 */
int calibrate(const CompileRequest *asked, const Calibrate *k, Range **range);
/* A line for each table and each dense layer: its precision, and why it stays as it is. */
void report_precision(const Spec *s, FILE *to);
#endif
