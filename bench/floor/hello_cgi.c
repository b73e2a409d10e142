/* The script of the CGI row: it costs its own start and nothing else. Built by content.py. */
#include <unistd.h>

int main(void)
{
    static const char answer[] = "Content-Type: text/plain\nContent-Length: 6\n\nhello\n";
    return write(STDOUT_FILENO, answer, sizeof answer - 1) == (ssize_t)(sizeof answer - 1) ? 0 : 1;
}
