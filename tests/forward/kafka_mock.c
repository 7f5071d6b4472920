/* SPDX-License-Identifier: MIT */
/* A Kafka cluster for tests: librdkafka's own mock, which listens on loopback, steered by lines of the input.
 *
 *   kafka_mock BROKERS PARTITIONS TOPIC
 *
 * prints "servers HOST:PORT,..." and then obeys:
 *
 *   error CODE N     the next N requests to produce are answered with this error
 *   delay MS         each answer takes so long
 *   down, up         all brokers
 *   read N           prints the topic's first N messages: partition, key, NAME=VALUE of the headers (bytes that are no text
 *                    as #LENGTH), value in hex, between tabs; then "end COUNT"
 *
 * Each is answered by a line, "ok" where there is nothing else to be said. */
#include <ctype.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PRODUCE    0 /* the number of that request */
#define ERRORS_MAX 64
#define WAIT_MS    500
#define WAITS      40

static struct {
	int brokers, partitions;
	const char *topic;
	rd_kafka_t *owner;
	rd_kafka_mock_cluster_t *cluster;
} mock;

static void __attribute__((noreturn)) give_up(const char *why)
{
	fprintf(stderr, "kafka_mock: %s\n", why);
	exit(2);
}

static rd_kafka_t *make(rd_kafka_type_t type, const char *servers)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char why[200];
	rd_kafka_t *made;

	rd_kafka_conf_set_log_cb(conf, NULL);
	if (servers && (rd_kafka_conf_set(conf, "bootstrap.servers", servers, why, sizeof(why)) != RD_KAFKA_CONF_OK ||
			rd_kafka_conf_set(conf, "group.id", "test", why, sizeof(why)) != RD_KAFKA_CONF_OK ||
			rd_kafka_conf_set(conf, "auto.offset.reset", "earliest", why, sizeof(why)) != RD_KAFKA_CONF_OK))
		give_up(why);
	made = rd_kafka_new(type, conf, why, sizeof(why));
	if (!made)
		give_up(why);
	return made;
}

static void fail_next(int code, unsigned count)
{
	rd_kafka_resp_err_t errors[ERRORS_MAX];

	if (count > ERRORS_MAX)
		give_up("too many errors");
	for (unsigned i = 0; i < count; i++)
		errors[i] = (rd_kafka_resp_err_t)code;
	rd_kafka_mock_push_request_errors_array(mock.cluster, PRODUCE, count, errors);
}

static void for_all_brokers(rd_kafka_resp_err_t (*what)(rd_kafka_mock_cluster_t *, int32_t))
{
	for (int i = 1; i <= mock.brokers; i++)
		what(mock.cluster, i);
}

static void print_headers(const rd_kafka_message_t *m)
{
	rd_kafka_headers_t *headers;
	const char *name;
	const void *value;
	size_t size;

	if (rd_kafka_message_headers(m, &headers))
		return;
	for (size_t i = 0; !rd_kafka_header_get_all(headers, i, &name, &value, &size); i++) {
		int is_text = 1;

		for (size_t k = 0; k < size; k++)
			is_text = is_text && isprint(((const unsigned char *)value)[k]);
		if (is_text)
			printf("%s%s=%.*s", i ? " " : "", name, (int)size, (const char *)value);
		else
			printf("%s%s=#%zu", i ? " " : "", name, size);
	}
}

static void print_message(const rd_kafka_message_t *m)
{
	printf("%d\t%.*s\t", m->partition, (int)m->key_len, (const char *)m->key);
	print_headers(m);
	putchar('\t');
	for (size_t i = 0; i < m->len; i++)
		printf("%02x", ((const unsigned char *)m->payload)[i]);
	putchar('\n');
}

static void read_back(unsigned long count)
{
	rd_kafka_t *consumer = make(RD_KAFKA_CONSUMER, rd_kafka_mock_cluster_bootstraps(mock.cluster));
	rd_kafka_topic_partition_list_t *all = rd_kafka_topic_partition_list_new(mock.partitions);
	unsigned long seen = 0;

	for (int i = 0; i < mock.partitions; i++)
		rd_kafka_topic_partition_list_add(all, mock.topic, i)->offset = RD_KAFKA_OFFSET_BEGINNING;
	rd_kafka_assign(consumer, all);
	/* All that were asked for, and then a while longer: there should be no more. */
	for (unsigned waits = 0; waits < WAITS; waits += seen < count ? 1 : WAITS / 2) {
		rd_kafka_message_t *m;

		while ((m = rd_kafka_consumer_poll(consumer, WAIT_MS))) {
			if (!m->err) {
				print_message(m);
				seen++;
			}
			rd_kafka_message_destroy(m);
		}
	}
	printf("end %lu\n", seen);
	rd_kafka_topic_partition_list_destroy(all);
	rd_kafka_consumer_close(consumer);
	rd_kafka_destroy(consumer);
}

static int set_delay(rd_kafka_mock_cluster_t *cluster, const char *ms)
{
	int r = 0;

	for (int i = 1; i <= mock.brokers; i++)
		r |= rd_kafka_mock_broker_set_rtt(cluster, i, (int)strtol(ms, NULL, 10)) != RD_KAFKA_RESP_ERR_NO_ERROR;
	return r;
}

static void obey(const char *line)
{
	unsigned long count;
	int code;

	if (sscanf(line, "read %lu", &count) == 1) {
		read_back(count);
		return;
	}
	if (sscanf(line, "error %d %lu", &code, &count) == 2)
		fail_next(code, (unsigned)count);
	else if (strncmp(line, "delay ", 6) == 0)
		set_delay(mock.cluster, line + 6);
	else if (strcmp(line, "down") == 0)
		for_all_brokers(rd_kafka_mock_broker_set_down);
	else if (strcmp(line, "up") == 0)
		for_all_brokers(rd_kafka_mock_broker_set_up);
	else
		give_up("unknown line");
	puts("ok");
}

int main(int argc, char **argv)
{
	char line[200];

	if (argc != 4)
		give_up("BROKERS PARTITIONS TOPIC");
	mock.brokers = (int)strtol(argv[1], NULL, 10);
	mock.partitions = (int)strtol(argv[2], NULL, 10);
	mock.topic = argv[3];
	mock.owner = make(RD_KAFKA_PRODUCER, NULL);
	mock.cluster = rd_kafka_mock_cluster_new(mock.owner, mock.brokers);
	if (!mock.cluster || rd_kafka_mock_topic_create(mock.cluster, mock.topic, mock.partitions, mock.brokers))
		give_up("no cluster");
	printf("servers %s\n", rd_kafka_mock_cluster_bootstraps(mock.cluster));
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = 0;
		obey(line);
		fflush(stdout);
	}
	rd_kafka_mock_cluster_destroy(mock.cluster);
	rd_kafka_destroy(mock.owner);
	return 0;
}
