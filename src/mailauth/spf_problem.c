/* Words of problems. */
#include "mailauth/spf_problem.h"

static const struct {
	const char *code, *what, *mend;
} words[] = {
#define X(code, what, mend) [SPF_PROBLEM_##code] = {#code, what, mend},
        SPF_PROBLEM_LIST(X)
#undef X
};

const char *spf_problem_what(enum spf_problem problem)
{
	return words[problem].what;
}

const char *spf_problem_mend(enum spf_problem problem)
{
	return words[problem].mend;
}

const char *spf_problem_code(enum spf_problem problem)
{
	return words[problem].code;
}
