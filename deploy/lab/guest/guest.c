/*
 * The lab guest's only program: counts ticks, answers UDP, makes load on request.
 *
 * Ticks are counted one per wake-up, not from the clock: a guest that was stopped
 * for a second misses ten of them, and a guest that lost its memory starts at one.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/input.h>
#include <linux/reboot.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { TICK_MS = 100, UDP_PORT = 7, PAGE = 4096, MIB = 1 << 20, INPUTS = 8 };

struct request {
	struct sockaddr_in from;
	long mib;
	void (*work)(const struct request *);
};

static char boot_id[17];
static unsigned long tick;
static int udp = -1;
static long dirty_mib;
static _Atomic long dirty_rate;
static _Atomic int working;

static long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000L + ts.tv_nsec / 1000000L;
}

/* The console is not blocking: a full serial line loses words, never ticks. */
static void say(const char *format, ...)
{
	char line[160];
	va_list rest;
	int length;

	va_start(rest, format);
	length = vsnprintf(line, sizeof line, format, rest);
	va_end(rest);
	if (write(STDOUT_FILENO, line, (size_t)length) < 0 && errno != EAGAIN)
		return;
}

static void answer(const struct sockaddr_in *to, const char *format, ...)
{
	char line[160];
	va_list rest;
	int length;

	va_start(rest, format);
	length = vsnprintf(line, sizeof line, format, rest);
	va_end(rest);
	sendto(udp, line, (size_t)length, 0, (const struct sockaddr *)to, sizeof *to);
}

/* A word "key=value" of the kernel command line, or the fallback. */
static void option(const char *key, char *value, size_t room, const char *fallback)
{
	char line[2048] = "";
	size_t length = strlen(key);
	int fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? 0 : read(fd, line, sizeof line - 1);
	char *word;

	if (fd >= 0)
		close(fd);
	line[got > 0 ? got : 0] = '\0';
	snprintf(value, room, "%s", fallback);
	for (word = strtok(line, " \n"); word; word = strtok(NULL, " \n"))
		if (!strncmp(word, key, length) && word[length] == '=')
			snprintf(value, room, "%s", word + length + 1);
}

static long number(const char *key, long fallback)
{
	char value[32];

	option(key, value, sizeof value, "");
	return *value ? strtol(value, NULL, 10) : fallback;
}

static int set_address(int fd, struct ifreq *ifr, unsigned long request, in_addr_t address)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = address};

	memcpy(&ifr->ifr_addr, &in, sizeof in);
	return ioctl(fd, request, ifr);
}

/* fa:16:c6:33:64:82 means 198.51.100.130; whimbrel.address= overrides it. */
static in_addr_t own_address(int fd, struct ifreq *ifr)
{
	char value[32];
	in_addr_t address;

	option("whimbrel.address", value, sizeof value, "");
	if (*value)
		return inet_addr(value);
	if (ioctl(fd, SIOCGIFHWADDR, ifr) < 0)
		return INADDR_NONE;
	memcpy(&address, ifr->ifr_hwaddr.sa_data + 2, sizeof address);
	return address;
}

static void join_network(void)
{
	struct ifreq ifr = {.ifr_name = "eth0"};
	struct in_addr shown;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	long prefix = number("whimbrel.prefix", 25);
	in_addr_t address = own_address(fd, &ifr);

	if (address == INADDR_NONE) {
		say("no network card\n");
		close(fd);
		return;
	}
	set_address(fd, &ifr, SIOCSIFADDR, address);
	set_address(fd, &ifr, SIOCSIFNETMASK, htonl(~0U << (32 - prefix)));
	ioctl(fd, SIOCGIFFLAGS, &ifr);
	ifr.ifr_flags |= IFF_UP | IFF_RUNNING;
	if (ioctl(fd, SIOCSIFFLAGS, &ifr) < 0)
		say("eth0 stays down: %s\n", strerror(errno));
	shown.s_addr = address;
	say("address %s/%ld\n", inet_ntoa(shown), prefix);
	close(fd);
}

static void listen_udp(void)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(UDP_PORT)};

	udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (udp < 0 || bind(udp, (struct sockaddr *)&in, sizeof in) < 0)
		say("no udp: %s\n", strerror(errno));
}

/* Touch dirty_rate MiB a second, in slices of 10 ms, over dirty_mib MiB of memory. */
static void *dirty(void *unused)
{
	struct timespec slice = {.tv_nsec = 10000000L};
	size_t size = (size_t)dirty_mib * MIB, at = 0;
	char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	long owed = 0, before = now_ms();
	uint64_t mark = 0;

	(void)unused;
	if (memory == MAP_FAILED) {
		say("no memory to dirty\n");
		return NULL;
	}
	for (;;) {
		long now = now_ms();

		/* What a pause of the guest left undone is not caught up. */
		owed += (now - before > 100 ? 100 : now - before) * dirty_rate * (MIB / PAGE);
		before = now;
		for (; owed >= 1000; owed -= 1000) {
			*(uint64_t *)(memory + at) = ++mark;
			at = (at + PAGE) % size;
		}
		nanosleep(&slice, NULL);
	}
}

static void set_dirty(long rate)
{
	static int started;
	pthread_t thread;

	dirty_rate = rate < 0 ? 0 : rate;
	if (started || !dirty_rate)
		return;
	if (!dirty_mib)
		dirty_mib = 32;
	started = !pthread_create(&thread, NULL, dirty, NULL);
}

/* Blocks that differ from each other, so that neither zeroes nor sameness shrink them. */
static void pattern(char *block, size_t size, long number)
{
	uint64_t x = (uint64_t)number * 0x9E3779B97F4A7C15ULL + 1;
	size_t i;

	for (i = 0; i + sizeof x <= size; i += sizeof x) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		memcpy(block + i, &x, sizeof x);
	}
}

static int write_disk(long mib)
{
	uint64_t size = 0;
	char *block = malloc(MIB);
	int fd = open("/dev/vda", O_WRONLY | O_CLOEXEC), wrong = 0;
	long i;

	if (fd < 0 || !block || ioctl(fd, BLKGETSIZE64, &size) < 0 || size < MIB)
		wrong = errno ? errno : ENOSPC;
	for (i = 0; !wrong && i < mib; i++) {
		pattern(block, MIB, i);
		if (pwrite(fd, block, MIB, (off_t)(i % (long)(size / MIB)) * MIB) != MIB)
			wrong = errno ? errno : EIO;
	}
	if (!wrong && fsync(fd) < 0)
		wrong = errno;
	if (fd >= 0)
		close(fd);
	free(block);
	return wrong;
}

/* FNV-1a of the disk's first MiBs, eight bytes at a time. */
static int sum_disk(long mib, uint64_t *sum)
{
	char *block = malloc(MIB);
	int fd = open("/dev/vda", O_RDONLY | O_CLOEXEC), wrong = fd < 0 || !block ? ENOMEM : 0;
	uint64_t word;
	long i, at;

	*sum = 0xCBF29CE484222325ULL;
	for (i = 0; !wrong && i < mib; i++) {
		if (pread(fd, block, MIB, (off_t)i * MIB) != MIB)
			wrong = EIO;
		for (at = 0; !wrong && at < MIB; at += sizeof word) {
			memcpy(&word, block + at, sizeof word);
			*sum = (*sum ^ word) * 0x100000001B3ULL;
		}
	}
	if (fd >= 0)
		close(fd);
	free(block);
	return wrong;
}

static void work_write(const struct request *request)
{
	long began = now_ms();
	int wrong = write_disk(request->mib);

	if (wrong)
		answer(&request->from, "write=failed error=%s\n", strerror(wrong));
	else
		answer(&request->from, "write=%ld took_ms=%ld\n", request->mib, now_ms() - began);
}

static void work_sum(const struct request *request)
{
	uint64_t sum;
	int wrong = sum_disk(request->mib, &sum);

	if (wrong)
		answer(&request->from, "sum=failed error=%s\n", strerror(wrong));
	else
		answer(&request->from, "sum=%016llx mib=%ld\n", (unsigned long long)sum, request->mib);
}

static void *worker(void *argument)
{
	struct request *request = argument;

	request->work(request);
	free(request);
	working = 0;
	return NULL;
}

/* One at a time, beside the ticks. */
static void start(const struct sockaddr_in *from, long mib, void (*work)(const struct request *))
{
	struct request *request;
	pthread_t thread;

	if (working) {
		answer(from, "busy\n");
		return;
	}
	request = malloc(sizeof *request);
	if (!request)
		return;
	*request = (struct request){.from = *from, .mib = mib, .work = work};
	working = 1;
	if (pthread_create(&thread, NULL, worker, request)) {
		working = 0;
		free(request);
		return;
	}
	pthread_detach(thread);
}

/* What the guest is made of, as its own kernel sees it. */
static void tell_hardware(const struct sockaddr_in *to)
{
	uint64_t size = 0;
	long page = sysconf(_SC_PAGESIZE), pages = sysconf(_SC_PHYS_PAGES);
	int fd = open("/dev/vda", O_RDONLY | O_CLOEXEC);

	if (fd >= 0) {
		ioctl(fd, BLKGETSIZE64, &size);
		close(fd);
	}
	answer(to, "vcpus=%ld memory_mib=%ld disk_mib=%ld\n", sysconf(_SC_NPROCESSORS_ONLN),
	       pages / (MIB / page), (long)(size / MIB));
}

static void handle(const struct sockaddr_in *from, const char *words)
{
	long value;

	if (sscanf(words, "write %ld", &value) == 1) {
		start(from, value, work_write);
		return;
	}
	if (sscanf(words, "sum %ld", &value) == 1) {
		start(from, value, work_sum);
		return;
	}
	if (!strncmp(words, "hardware", 8)) {
		tell_hardware(from);
		return;
	}
	if (sscanf(words, "dirty %ld", &value) == 1) {
		set_dirty(value);
		answer(from, "dirty=%ld mib=%ld\n", (long)dirty_rate, dirty_mib);
		return;
	}
	answer(from, "boot=%s tick=%lu mono_ms=%ld\n", boot_id, tick, now_ms());
}

static void serve(void)
{
	struct sockaddr_in from;
	char words[64];
	ssize_t got;

	for (;;) {
		socklen_t length = sizeof from;

		got = recvfrom(udp, words, sizeof words - 1, 0, (struct sockaddr *)&from, &length);
		if (got < 0)
			return;
		words[got] = '\0';
		handle(&from, words);
	}
}

static void power_off(void)
{
	say("power button, tick %lu\n", tick);
	sync();
	reboot(LINUX_REBOOT_CMD_POWER_OFF);
}

static void read_keys(int fd)
{
	struct input_event event;

	while (read(fd, &event, sizeof event) == sizeof event)
		if (event.type == EV_KEY && event.code == KEY_POWER && event.value == 1)
			power_off();
}

static nfds_t open_keys(struct pollfd *fds)
{
	DIR *folder = opendir("/dev/input");
	struct dirent *entry;
	nfds_t count = 0;

	while (folder && count < INPUTS && (entry = readdir(folder))) {
		int fd;

		if (strncmp(entry->d_name, "event", 5))
			continue;
		fd = openat(dirfd(folder), entry->d_name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
		if (fd >= 0)
			fds[count++] = (struct pollfd){.fd = fd, .events = POLLIN};
	}
	if (folder)
		closedir(folder);
	return count;
}

static int start_ticking(void)
{
	struct itimerspec every = {{0, TICK_MS * 1000000L}, {0, TICK_MS * 1000000L}};
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);

	timerfd_settime(fd, 0, &every, NULL);
	return fd;
}

static void make_boot_id(void)
{
	uint64_t random = 0;

	/* The early pool is good enough to tell two boots apart, and never waits. */
	if (getrandom(&random, sizeof random, GRND_INSECURE) < 0)
		random = (uint64_t)now_ms();
	snprintf(boot_id, sizeof boot_id, "%016llx", (unsigned long long)random);
}

int main(void)
{
	struct pollfd fds[2 + INPUTS];
	nfds_t keys, i;
	uint64_t wakes;

	fcntl(STDOUT_FILENO, F_SETFL, fcntl(STDOUT_FILENO, F_GETFL) | O_NONBLOCK);
	make_boot_id();
	join_network();
	listen_udp();
	dirty_mib = number("whimbrel.dirty_mib", 0);
	set_dirty(number("whimbrel.dirty_rate", 0));
	fds[0] = (struct pollfd){.fd = start_ticking(), .events = POLLIN};
	fds[1] = (struct pollfd){.fd = udp, .events = POLLIN};
	keys = open_keys(fds + 2);
	say("boot %s\n", boot_id);
	for (;;) {
		if (poll(fds, 2 + keys, -1) < 0)
			continue;
		if (read(fds[0].fd, &wakes, sizeof wakes) == sizeof wakes)
			say("tick %lu t=%ld\n", ++tick, now_ms());
		if (fds[1].revents)
			serve();
		for (i = 2; i < 2 + keys; i++)
			if (fds[i].revents)
				read_keys(fds[i].fd);
	}
}
