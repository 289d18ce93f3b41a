// One request, three candidates: the probabilities of the ESMM example, from C++.
//
//   mtlc build examples/esmm/esmm.mtl --model esmm.model --emit=static,header -o esmm
//   c++ -std=c++17 -I. score.cpp esmm.a -lm -o score && ./score
#include "esmm.h"
#include <cmath>
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

class Scorer
{
      public:
	struct Candidate {
		std::string item, category;
		std::vector<std::string> tags;
		double price;
	};
	struct Score {
		float click, buy_if_clicked, buy;
	};

	explicit Scorer(const char *path = nullptr)
	    : m(open(path), esmm_close), work(esmm_work_bytes(m.get(), 0))
	{
	}

	std::vector<Score> operator()(const esmm_request_row &r, const std::vector<Candidate> &c)
	{
		size_t n = c.size();
		std::vector<esmm_text> item(n), category(n);
		std::vector<std::vector<esmm_text>> tag(n);
		std::vector<esmm_texts> tags(n);
		std::vector<double> price(n);
		for (size_t i = 0; i < n; i++) {
			item[i] = text(c[i].item);
			category[i] = text(c[i].category);
			for (const auto &t : c[i].tags) tag[i].push_back(text(t));
			tags[i] = {tag[i].data(), nullptr, tag[i].size()};
			price[i] = c[i].price;
		}
		esmm_candidate_rows rows = {item.data(), category.data(), tags.data(), price.data()};
		std::vector<float> out(n * ESMM_OUTPUTS);
		check(esmm_request(m.get(), work.data(), &r, &err));
		check(esmm_candidates(m.get(), work.data(), &rows, n, out.data(), &err));
		std::vector<Score> s(n);
		for (size_t i = 0; i < n; i++) {
			const float *o = &out[i * ESMM_OUTPUTS];
			s[i] = {o[ESMM_OUT_PCTR], o[ESMM_OUT_PCVR], o[ESMM_OUT_PCTCVR]};
		}
		return s;
	}

	static esmm_text text(const std::string &s) { return {s.data(), s.size()}; }

      private:
	esmm_error err = {};
	std::unique_ptr<esmm, void (*)(esmm *)> m;
	std::vector<char> work; // a Scorer is one thread's; threads may share the model behind it

	void check(int status)
	{
		if (status) throw std::runtime_error(err.text);
	}
	esmm *open(const char *path)
	{
		esmm *opened;
		check(esmm_open(path, &opened, &err));
		return opened;
	}
};

int main(int argc, char **argv)
try {
	Scorer score(argc > 1 ? argv[1] : nullptr); // an argument: a newer model file than the weights inside
	esmm_request_row r = {esmm_string("u42"), esmm_string("F"), 34};
	std::vector<Scorer::Candidate> c = {{"i17", "c3", {"t1", "t2", "t3"}, 19.9},
					    {"i4711", "c3", {"t2"}, 250},
					    {"i99999999", "", {}, NAN}};
	auto s = score(r, c);
	for (size_t i = 0; i < c.size(); i++)
		std::printf("%s click %.9g buy %.9g\n", c[i].item.c_str(), s[i].click, s[i].buy);
} catch (const std::exception &e) {
	std::fprintf(stderr, "%s\n", e.what());
	return 1;
}
